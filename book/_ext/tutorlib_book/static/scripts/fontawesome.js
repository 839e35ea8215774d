// Stands in for the theme's script of the same name, which draws icons and is large: see icons.py.
