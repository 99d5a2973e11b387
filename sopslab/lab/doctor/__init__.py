"""A look at one environment for `sopslab doctor`: cluster, Git and files, side by side."""
