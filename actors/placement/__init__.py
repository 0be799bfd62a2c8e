"""Which host an instance goes to: filters, weighers, one decision; and the ledger of claims."""
