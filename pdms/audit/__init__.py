"""The tamper-evident log. Import its modules by name: empty here, so that the offline verifier stays light."""
