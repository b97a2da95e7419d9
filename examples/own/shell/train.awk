# One epoch: reads the weights of the last one, writes new ones with the accuracy on validation and test.
#
# Two clouds of points in four dimensions. The teacher sees all four, the student the first two.

function noise() { return sqrt(-2 * log(1 - rand())) * cos(6.283185307179586 * rand()) }
function sigmoid(x) { return x < -30 ? 1e-13 : 1 / (1 + exp(-x)) }
function logit(i) { return bias + w[1] * x[i, 1] + w[2] * x[i, 2] }
function right(first, last,    i, count) {
    for (i = first; i <= last; i++) count += (logit(i) > 0) == y[i]
    return count / (last - first + 1)
}

$1 == "w" { bias = $2; w[1] = $3; w[2] = $4; begun = 1 }

END {
    srand(7)    # the data: always the same
    for (i = 1; i <= 1500; i++) {
        y[i] = rand() < 0.5
        teacher[i] = 0
        for (j = 1; j <= 4; j++) {
            x[i, j] = (2 * y[i] - 1) * 0.5 + noise()
            teacher[i] += x[i, j]
        }
    }
    srand(seed * 1000 + epoch)    # initial weights and order
    if (!begun) { bias = noise(); w[1] = noise(); w[2] = noise() }
    for (step = 1; step <= 500; step++) {
        i = 1 + int(500 * rand())
        soft = sigmoid(logit(i) / temperature) - sigmoid(teacher[i] / temperature)
        hard = sigmoid(logit(i)) - y[i]
        gradient = kd_weight * temperature * soft + label_weight * hard
        bias -= rate * gradient
        for (j = 1; j <= 2; j++) w[j] -= rate * gradient * x[i, j]
    }
    print "w", bias, w[1], w[2]
    print "validation", right(501, 1000)
    print "test", right(1001, 1500)
}
