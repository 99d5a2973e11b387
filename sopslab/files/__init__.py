"""Files as they are written: templates, archives, private ones, the journal of a run."""
