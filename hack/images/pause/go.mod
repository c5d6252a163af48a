module gradient.run/pause

go 1.24.0
