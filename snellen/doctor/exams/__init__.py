"""One file, one examination of the data or the network as a whole: measures, never judges.

A file declares EXAMS, name -> (levels, function). A function takes a Case and gives the values of
one exam event, or None where it has nothing to look at. Levels: "quick" needs the data only and a
moment; "full" is what `preflight` adds; "after" is asked once the training has ended. Nothing of
the user's is changed: networks are copied or put back, random numbers are not drawn.

What each one writes, and checks read (`chart.exams[name]`; every key is optional):

copies      exact, near, overlap (val samples that train holds too: by bytes, by likeness, by row),
            searched, searched_near, inside (share of train that repeats train),
            samples (of val), pairs [[val, train]], paths
moments     of each channel: train_mean, train_std, val_mean, val_std, all_mean, all_std, num_train,
            num_val; standardised (whether some scale was taken out), fitted_mean, fitted_std
counts      counts {label: samples}, searched, total, classes (outputs that the loss indexes),
            likely (classes by the labels alone), rare {row: label}, paths
votes       right (share of samples whose label their likenesses vote for), chance, count, strong,
            against (of the first vote); found (contradicted by the second vote, which wrong
            labels have no part in), total, suspects, paths, given, voted, margins: those found
order       shuffled (whether the loader draws at random), runs, labels, expected
memory      start, end, accuracy, steps, samples, kind (class | value), seconds, finished
slopes      wrong [{parameter, module, index, analytic, numeric, error}], worst, tested, kinks
skill       train_accuracy, train_loss, train_count, val_accuracy, val_loss, val_count, train_same,
            relabelled_accuracy, mapping {from: to}, chance, suspects, doubts, confident, moved
"""
