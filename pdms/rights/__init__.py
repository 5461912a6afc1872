"""Subject requests, withdrawal, legal clocks, correction, erasure, statutory holds, retention."""
