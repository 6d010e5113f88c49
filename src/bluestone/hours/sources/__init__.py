"""Adapters of the price source port: who tells what a provider's servers cost."""
