"""What the shop does, as plain functions and values: nothing here knows of components or HTTP."""
