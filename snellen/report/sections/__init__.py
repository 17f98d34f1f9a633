"""One section a file; each declares SECTIONS = {name: Section(title, order, build)}."""
