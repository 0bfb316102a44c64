"""The benchmark: our server side by side with bokeh's own, in the same interleaved run, on pinned cores.

`python -m bench` runs these cells: ``core`` (parse and apply of one patch, in process), ``fanout`` (one producer, N
viewers, a replayed patch), ``program`` (a program of Python updates, N viewers), ``floor`` (beside a bare broadcast in
C), ``visdom``, ``hosted`` (within Flask), ``open`` (pull and push of a document of 8 MB columns) and ``start`` (time to
ready, idle memory). Every figure is a median of at least 5 rounds; what counts are the ratios, and the targets of
``bench.targets``. See docs/performance.md.
"""
