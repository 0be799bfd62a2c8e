"""Which host a VM goes to: filters, weighers and one decision over a snapshot."""
