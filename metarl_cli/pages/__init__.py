"""What is made to be read: the report, one HTML file, and the gallery, `figures/README.md`."""
