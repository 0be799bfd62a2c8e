"""What a guest is told at boot: the trees of config drive and metadata service. Pure."""
