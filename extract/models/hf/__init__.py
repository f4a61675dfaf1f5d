"""`hf:ID_OR_FOLDER`: any audio encoder that the transformers library has the code of."""
