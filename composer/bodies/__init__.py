"""What is made of networks without labels: their running statistics and biases anew, and heads."""
