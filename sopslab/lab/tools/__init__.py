"""The programs and files of the lab's machine: the only place that starts anything there."""
