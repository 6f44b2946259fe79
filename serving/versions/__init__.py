"""Which versions of which models are loaded: store, policy, loading, warm-up, tuning, signatures."""
