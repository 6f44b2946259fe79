"""SavedModel export, the store of versions, the model server, the client."""
