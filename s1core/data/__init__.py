"""What comes in: sources and benchmarks, from the Hub or a local mirror, and their annotation."""
