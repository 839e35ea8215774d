"""Meta Learning Backpropagation And Improving It (Kirsch and Schmidhuber, 2012.14905)."""
