"""The notes' mathematics by hand, in NumPy alone: to be read, walked through, and tested against.

One file is one idea, and all files have one shape. What can be differentiated is a pair:

    out, cache = idea_forward(arrays, settings)
    gradients = idea_backward(d_out, cache)

`d_out` is the derivative of the loss by each entry of `out`; what comes back is the derivative of
the loss by each entry of the arrays, in the order in which forward took them. `cache` is whatever
forward computed that backward needs again. An optimiser is one function,
`x, state = idea_step(x, gradient, state)`.

Letters of the axes: B sample, I input, O output, K class, C channel, H W height and width of what
comes in, P Q of what goes out, R S of a kernel, T time, N any entry. In recurrent cells H is a
hidden unit and G a gate's unit.

A file begins with its PLACE, chapter and rank, and ends with `walk`, which shows its functions at
work on a tiny example: a new idea is one new file. `python -m snellen.byhand` lists the ideas,
`python -m snellen.byhand conv` walks through one. Nothing at run time uses this room: it is here
to be read, and it is the oracle of tests.
"""
