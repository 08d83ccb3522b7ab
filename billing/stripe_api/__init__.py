"""The edge to Stripe: the only package that imports its SDK.

Its functions take and return plain values in Stripe's unit, whole cents; its errors are those of ``client``.
"""
