"""The fake Stripe: customers, payments, refunds, disputes and webhooks over a real socket, as Stripe's test mode has them.

``python -m fastanchor.local.fakestripe --port N [--data FILE]`` starts it; whoever is told ``STRIPE_API_BASE`` speaks to it
with any ``sk_test_`` key. Live keys are refused. Money never moves; cards are Stripe's own test cards (``cards.py``).

===========================  ==========================================================================
``/v1/…``                    Stripe's API as far as ``routes.py`` lists it
``/c/pay/SESSION``           the hosted checkout page, a plain form; also ``/3ds/``, ``/i/`` and ``/receipts/``
``/_control/…``              orders of tests and developers, from this machine only (``control.py``)
===========================  ==========================================================================

Where things are: ``app.py`` takes requests in, ``routes.py`` finds the function that answers, the function reads a
``Call`` and changes the ``World``. What changes is told by events, which ``delivery.py`` signs and sends.

``api.json`` holds Stripe's own list of parameters (made by ``tests/fakestripe/make_documents.py``); ``parameters.py`` refuses
what is not in it. Only callers of API version endive meet the rules of endive.
"""
