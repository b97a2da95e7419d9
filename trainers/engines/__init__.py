"""Who trains: one student or many, one contract."""
