"""Pictures, movies, figures and pages."""
