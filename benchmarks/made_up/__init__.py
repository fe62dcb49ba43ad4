"""What benchmarks need when no real data will do."""
