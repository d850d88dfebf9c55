"""What the end-to-end tests share: programs, taps, scripts and comparisons."""
