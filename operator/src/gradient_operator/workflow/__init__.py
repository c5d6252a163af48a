"""A Gradient file: read it, check it, compile it into what the planner and the pod builder need.

Pure: text and models come in, data and problems go out. Nothing here knows the cluster.
"""
