"""The formats of a report: each file writes a `reports.document.Document` in one of them."""
