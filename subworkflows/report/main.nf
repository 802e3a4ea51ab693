workflow REPORT {
    take:
    settings
    images
    features
    evaluation

    main:
    def report = channel.empty()

    emit:
    report = report
}
