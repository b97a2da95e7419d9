"""Who may train what, and what has been trained: plan, claiming, leases, ledger, lifecycle."""
