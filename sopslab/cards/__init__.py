"""Hand-outs: what one learner needs to get at their seat, on one page."""
