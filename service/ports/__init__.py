"""The bridge's ports: how they are opened, and how they stay this user's while no bridge runs."""
