"""What `make chart` generates for the chart, and how it is kept current."""
