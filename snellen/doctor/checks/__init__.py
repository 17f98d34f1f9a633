"""One file, one check: signal, threshold, source, prescription, a sick and a healthy case."""
