"""One file, one probe: measures, never judges, changes nothing of what it looks at.

What probes write and checks read (values of the events; every key is optional, a check that lacks
one stays quiet). All norms are L2; `step` is the number of completed optimiser steps.

facts       classes, num_samples, batch_size, steps_per_epoch, num_params, has_norm, device,
            loss_fn, optimizers [{name, lr, momentum, weight_decay}], num_optimizers, pretrained,
            targets ("class" | "value" | "unknown"), compiled, tensors (of parameters), frozen (of
            these), loss_without_graph (a backward pass that must raise); at the end steps, notes
            and backwards (since the last step: all of them where there was none)
step        loss (mean over the backward passes of the step; with gradient accumulation that
            divides, see loss_call.value), lr, batch, grad_norm, backwards (since the last step),
            carried (gradients were never zero before a backward since the last step), train_mode;
            rows of a second optimiser have optimizer (1, 2 ...) and other_loss instead of loss
layer       a module, or a functional activation such as "Net.relu#2" (second call in a forward);
            facts {kind, depth, module, file, line, activation, out_shape, p (of dropout)};
            rows: mean, std, absmax,
            activation is "" | relu | tanh | sigmoid | leaky_relu | gelu ...;
            zero_share (of values), dead_share (relu only: of units silent on
            every sample of the last 4 sampled steps), saturated_share,
            nonfinite, constant (all samples give the same), grad_norm, grad_mean_abs
param       facts {shape, module, kind, requires_grad, in_optimizer, optimizer (its number), numel,
            is_bias, is_norm, file};
            rows: weight_norm (before the step), grad_norm, grad_mean_abs, grad_none,
            update_norm, update_ratio, changed (bit by bit, over one optimiser step),
            rows_identical, grad_rows_identical, lr
batch       min, max, mean, std, absmax, nonfinite_rows, whole_numbers, dtype, shape,
            constant_share (of features that are the same
            in all samples), train_mode, target_min, target_max, target_dtype, target_shape; of
            floats also target_mean, target_std
loss_call   function, input_shape, target_shape, input_dtype, target_dtype, input_min, input_max,
            row_sum_min, row_sum_max, target_min, target_max, reduction, value, classes, error,
            outside {row of the batch: label} where it raised; made_by (the activation behind
            the outputs), and of the targets beside it beyond (share), wanted_min, wanted_max;
            of float targets that nothing is learnt by target_size (the largest), target_at (its
            row)
nonfinite   what (loss | gradient | weight | input | activation), module, parameter, operation
probe       named, of a few steps and of the end; values besides last, network:
            additivity  error, layers (in series), rank, widths [input, output]
            pixels      lost (share of places), places; of the first layer that skips some:
                        module, kind, share, kernel, stride, padding, dilation, input, gap
            modes       loss_train, loss_eval, gap (of the outputs), momentum [], tracked, norms
            horizon     module, kind, steps, ratio (first to largest), first, largest, sizes []
            effects     silent [], count, numel, effect, by_parameter {}
            received    agreement, mixed, samples
            orders      apart [weights], of (so many), what (gradients | moments): those that a
                        fused step on the processor pairs with others' numbers
            frozen      frozen, new [], share, held (layers with weights), head (the last of them)
            filters     rough, count, size
            strays      hidden [], lost, numel, anew, together, unmoved, parameters, adopted,
                        trunk [shape] (new, unmoved, and before the network)
            direction   away, counted, right, chance, is_class
            logs        least, source (softmax | sigmoid), overflows
            summed      size
            rises       target_size, target_at (of a batch whose loss leapt up, sampled or not)
            penalty     penalty, data (norms of their gradients)
culprit     cause (data | sample | step | label), split, samples, samples_of, paths, module,
            operation, searched, values (what is in them), field (image | target); of labels also
            classes, outside {label: how many}, count, target_min, target_max
"""
