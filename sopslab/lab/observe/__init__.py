"""Looking at the lab: programs, files, Git, HTTP and the cluster, each question bounded in time."""
