"""Reading back what the stages have stored: training data, features, graphs, trained models, results."""
