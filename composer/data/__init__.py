"""What flows between components: pictures, populations, kernels, composed models, scores, and formulas of concepts."""
