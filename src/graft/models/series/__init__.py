"""Encoders of time series: the models themselves, and how they are built, loaded and saved.

Entry point: `modeling_series.SeriesEncoder` and `SeriesClassifier`.
"""
