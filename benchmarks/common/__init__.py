"""What benchmarks share: facts of the machine, tables, repetitions, peers, published figures, style."""
