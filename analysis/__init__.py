"""What the numbers say: tables, figures, findings and the report, from frames of runs and curves."""
