"""What brings nets from elsewhere: MXNet checkpoints and ONNX files, checked and put into the catalogue."""
