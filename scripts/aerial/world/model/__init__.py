"""The network, its losses, and where its weights come from. Every module here imports torch."""
