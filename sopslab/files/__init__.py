"""Files as they are written: templates, archives, private ones, the events of a run."""
