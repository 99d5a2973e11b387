"""Looking at one environment, side by side: the bare repository, the cluster, the Git server."""
