"""Container images without Docker: layers, manifests and archives as the OCI defines them."""
