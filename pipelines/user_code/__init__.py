"""The user's own models, losses, optimizers and callbacks, which a configuration names as `module:name`.

A model that was trained needs none of them any more: its SavedModel is complete.
"""
