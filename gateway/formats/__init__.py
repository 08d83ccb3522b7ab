"""The formats that clients speak: how a body is read, and how an answer, a stream and an error are written."""
