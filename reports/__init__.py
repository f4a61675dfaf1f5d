"""From a study folder to findings, figures and a PDF."""
